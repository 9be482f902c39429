"""What teachers share: their preprocessing, and the folder that holds one."""

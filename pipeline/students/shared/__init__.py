"""What students share: their contract, their file format, calibration, domain and prediction."""

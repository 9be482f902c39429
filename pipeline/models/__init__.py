"""Network parts that teachers and students share: InternVideo2, its preprocessing and its stem."""

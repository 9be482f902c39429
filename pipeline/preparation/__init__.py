"""The stage ``prepare``: looks at files, splits contents, writes the tables."""

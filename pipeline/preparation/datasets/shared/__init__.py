"""What data sets share: entries, readers of tables, settings and made files."""

"""What every room stands on: errors, settings, files, the manifest, rank correlation, progress, scratch folders."""

"""What commands share: inputs, names, printed scores and curves."""

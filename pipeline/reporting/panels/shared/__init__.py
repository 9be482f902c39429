"""What panels share: axes, SVG, tables, wording, frames."""

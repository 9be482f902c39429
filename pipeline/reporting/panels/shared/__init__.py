"""What panels share: the section, markup, axes, SVG, wording, pictures of videos."""

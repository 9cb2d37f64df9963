"""What figures are drawn with: styles, axes, series, panels and the frames that they take."""

"""Program + BaseImage → Image."""

"""Binary + BaseImage → Image."""

"""A folder, a file or a module → Sample."""

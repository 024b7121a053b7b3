"""What every stage may use: processes, files, work side by side, untrusted text."""

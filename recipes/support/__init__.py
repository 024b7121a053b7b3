"""What every stage may use: processes, files, work side by side, text that is not ours."""

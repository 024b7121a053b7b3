"""What this project costs, against its peers on the same input: `make bench`.

One file per subject; each yields rows. Every number is measured in this run, and a row whose peer is not there is
left out with its name.
"""

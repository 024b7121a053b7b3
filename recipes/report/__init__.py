"""SizeRow… → text. Pure."""

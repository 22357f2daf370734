"""What strategies send, and why not: built-in ones as columns, own ones one by one."""

"""What survives a crash: the checkpoint, the raw files, and the thread that writes both."""

"""Object storage: a local spool in front, sealed files and checkpoints in a bucket.   (extra: remote)"""

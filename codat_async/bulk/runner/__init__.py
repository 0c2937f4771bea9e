"""The pull, a module for each part of it; :mod:`~codat_async.bulk.runner.pull` assembles the others."""

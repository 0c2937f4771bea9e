"""The version of the package: the build reads it here, and reading metadata would cost 20 ms of import."""

VERSION = "0.1.0"

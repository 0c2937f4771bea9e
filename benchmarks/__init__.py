"""Compares the speed and memory of the client with the published SDK and with aiohttp and msgspec alone."""

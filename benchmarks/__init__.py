"""How fast the client is, side by side with the published SDK and with the bare floor."""

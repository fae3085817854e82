"""The command `serve`: a page that explains while one draws, or explains pictures with a model of one's own."""

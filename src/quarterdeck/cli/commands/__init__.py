"""The commands, one idea a file. Each has `add(app)`, which puts its command or its group into the application."""

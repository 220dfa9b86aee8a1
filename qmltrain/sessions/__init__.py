"""A training in its directory: started, gone on with, ended, and what it says at its end."""

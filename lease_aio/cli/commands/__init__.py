"""The commands by area: options in, one call out. What they do stands in the modules beside this package."""

"""Running commands elsewhere: one seam, a folder for each platform."""

from .picture import Picture as Picture

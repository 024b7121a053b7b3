"""The formats of images, and the store that holds them."""

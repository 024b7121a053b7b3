"""What glibc and musl would load from a root, and what they would say."""

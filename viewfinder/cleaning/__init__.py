"""What is wrong with images: copies, outliers, doubtful labels, pictures that show nothing."""

"""What is deleted when: ended runs by age, and blobs that nothing needs."""

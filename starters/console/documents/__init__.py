"""The document beside the form: its pages as pictures or text, with the values of the answer marked."""

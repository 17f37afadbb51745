"""A small site of a newspaper, as somebody who uses resto would write it; the tests run it in processes of its own."""

"""`python -m fedschema` is `fedschema`."""

from fedschema.cli import main

if __name__ == "__main__":
    main()

"""``python -m tapetum``."""

from tapetum.cli import main

raise SystemExit(main())

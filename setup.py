"""Compiles the panel's translations while the package is built; everything else is in setup.cfg."""

from setuptools import setup
from setuptools.command.build_py import build_py


class TranslatedBuild(build_py):
    """Runs Babel's own command first, so that the package has what it compiles."""

    def run(self) -> None:
        self.run_command("compile_catalog")
        super().run()


setup(cmdclass={"build_py": TranslatedBuild})

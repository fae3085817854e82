"""Pictures that were drawn, as files and in notebooks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from lrpfast.view.blocks import Block
from lrpfast.view.files import check_writable, write_whole
from lrpfast.view.pictures import picture_format
from lrpfast.view.render import image, write


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, which shows itself in a notebook."""

    block: Block

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, which then is there as a whole or not at all.

        Parameters
        ----------
        path : path-like
            Its suffix chooses the format: ".svg" and ".pdf" keep text as text; ".png", ".jpg", ".webp", ".tiff".

        Returns
        -------
        Path
            Where it was written.

        Raises
        ------
        InputError
            The suffix is that of no picture.
        FileError
            The file cannot be written.
        """
        return write_picture(path, self.block)

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        image(self.block).save(file, "PNG")
        return file.getvalue()


def write_picture(path: str | os.PathLike[str], block: Block) -> Path:
    """Write what was drawn in the format of the path's suffix, whole or not at all."""
    form = picture_format(path)
    check_writable(path)
    return write_whole(path, lambda file: write(block, file, form))

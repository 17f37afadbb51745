"""Parts of files, and the versions that they are of."""

from dataclasses import dataclass
from typing import BinaryIO


__all__ = ["FilePart", "Version"]


@dataclass(frozen=True, slots=True)
class Version:
    """What a host says of a file that its next version would not have, too.

    Attributes:
        size: In bytes.
        tag: Another one whenever the content is another one; empty if the host says nothing that is as strong as that.
        modified: When the file was modified last, in words of the host; empty if it does not say so.
    """

    size: int
    tag: str = ""
    modified: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is more than a size, which another version may have, too."""
        return bool(self.tag or self.modified)

    def is_same_as(self, other: "Version") -> bool:
        """Return whether this is what the host says of the same version: by the tag, else by time and size.

        Args:
            other: What the host has said before.
        """
        if other.tag:
            return (self.size, self.tag) == (other.size, other.tag)
        return other.is_known and (self.size, self.modified) == (other.size, other.modified)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a file, or the whole file if that is all that a host can give.

    Attributes:
        stream: As that of `Transport.open`.
        version: Which version of the file it is of. None if the stream brings the whole file: the host gives no parts, or says
            nothing by which those of two versions could be told apart.
    """

    stream: BinaryIO
    version: Version | None

"""Pascal VOC: one xml file for each photograph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from minidet.datasets._files import (
    FileIndex,
    check_folder,
    list_files,
    parse_number,
    parse_whole,
    read_bytes,
    relative_name,
    subfolder,
    without_suffix,
    write_text,
)
from minidet.datasets._writing import check_writable, copy_photographs, decimal, measured_size
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.errors import InputError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: str | os.PathLike[str]) -> Dataset:
    """Read a folder of Pascal VOC xml files. Every object is a face, whatever its name.

    ::

        faces/                           <annotation>
        |- annotations/  (Annotations)     <filename>a.jpg</filename>
        |  |- a.xml                        <size> <width>400</width> <height>300</height> </size>
        |  `- train/b.xml                  <object>
        `- images/       (JPEGImages)        <name>face</name> <difficult>0</difficult>
           |- a.jpg                          <bndbox> <xmin>11</xmin> <ymin>21</ymin>
           `- train/b.jpg                             <xmax>40</xmax> <ymax>60</ymax> </bndbox>
                                           </object>
                                         </annotation>

    Without these two folders, xml files and photographs lie side by side. The photograph of train/b.xml is
    train/FILENAME or FILENAME; if neither is there, the one called train/b with any usual ending.

    The corners in the file are pixels, counted from 1, and the last one belongs to the box. On a continuous
    scale the box above is x1 = 10, y1 = 20, x2 = 40, y2 = 60: only the upper left corner moves by one.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    dataset : Dataset
        In plain sorted order of the xml files. A face with ``difficult`` 1 is ignored. There are no
        landmarks. ``size`` is as stated, None if it is not or 0. A missing photograph is no error here;
        ``path`` is where it should be.

    Raises
    ------
    InputError
        If the folder or every xml file is missing; if one is cut short, is of another kind, or lacks a
        corner; if a number is none.
    """
    folder = Path(path)
    check_folder(folder)
    xml_folder = subfolder(folder, "annotations")
    if xml_folder:
        image_folder = subfolder(folder, "images", "JPEGImages") or folder / "images"
    else:
        xml_folder = image_folder = folder
    names = list_files(xml_folder, {".xml"})
    if not names:
        raise InputError(f"{xml_folder} holds no xml files; expected one for each photograph")
    photographs = FileIndex(image_folder)
    return Dataset(
        [_read_annotation(xml_folder / name, name, photographs) for name in names], f"voc:{os.fspath(path)}"
    )


def write_voc(
    annotations: Sequence[Annotation], folder: str | os.PathLike[str], *, copy_images: bool = False
) -> None:
    """Write annotations as Pascal VOC xml files.

    ``annotations/train/a.xml`` in the folder describes ``images/train/a.jpg``, where "train/a.jpg" is the
    annotation's name. The photographs are expected there; ``copy_images=True`` copies them.

    Parameters
    ----------
    annotations : sequence of Annotation
        Corners are written to a millionth of a pixel, ignored faces as ``difficult``, and the size as stated
        or else as measured. The format has no place for landmarks.
    folder : path
        Made if it does not exist. Files of the same names are replaced.
    copy_images : bool

    Raises
    ------
    InputError
        If names would clash or lead out of the folder, a box is not finite, or a file cannot be written.
    """
    check_writable("write_voc", annotations, file_each=True)
    texts = [_annotation_text(annotation) for annotation in annotations]
    for annotation, text in zip(annotations, texts, strict=True):
        write_text(Path(folder, "annotations", without_suffix(annotation.name) + ".xml"), text)
    if copy_images:
        copy_photographs(annotations, Path(folder, "images"))


def _read_annotation(path: Path, xml_name: str, photographs: FileIndex) -> Annotation:
    root = _parse(path)
    name = _photograph_name(root, xml_name, photographs)
    faces = [(f"{path} object {number}", face) for number, face in enumerate(root.findall("object"), 1)]
    return Annotation(
        photographs.folder / name,
        name,
        [_box(face, where) for where, face in faces],
        ignore=[parse_whole(_text(face, "difficult", "0"), where, "difficult") > 0 for where, face in faces],
        size=_size(root, str(path)),
    )


def _parse(path: Path) -> ElementTree.Element:
    try:
        # A blank line above the xml declaration is common, and not allowed.
        root = ElementTree.fromstring(read_bytes(path).lstrip())
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter: an unknown encoding
        raise InputError(f"{path} is not an xml file, or is cut short: {error}") from None
    if root.tag != "annotation":
        raise InputError(f"{path} is an xml file of <{root.tag}>; expected <annotation>")
    return root


def _photograph_name(root: ElementTree.Element, xml_name: str, photographs: FileIndex) -> str:
    """Return the path of the photograph below its folder; if it is missing, where it should be."""
    stem = without_suffix(xml_name)
    stated = relative_name(_text(root, "filename", "")) or PurePosixPath(stem).name + ".jpg"
    beside = (PurePosixPath(xml_name).parent / stated).as_posix()
    return photographs.find(beside) or photographs.find(stated) or photographs.find_stem(stem) or beside


def _box(face: ElementTree.Element, where: str) -> tuple[float, float, float, float]:
    box = face.find("bndbox")
    if box is None:
        raise InputError(f"{where}: there is no <bndbox>")
    texts = [_text(box, corner, "") for corner in CORNERS]
    for corner, text in zip(CORNERS, texts, strict=True):
        if not text:
            raise InputError(f"{where}: its <bndbox> has no <{corner}>")
    xmin, ymin, xmax, ymax = (
        parse_number(text, where, corner) for text, corner in zip(texts, CORNERS, strict=True)
    )
    return xmin - 1, ymin - 1, xmax, ymax


def _size(root: ElementTree.Element, where: str) -> tuple[int, int] | None:
    width = parse_whole(_text(root, "size/width", "0"), where, "width")
    height = parse_whole(_text(root, "size/height", "0"), where, "height")
    return (width, height) if width > 0 and height > 0 else None


def _text(element: ElementTree.Element, tag: str, missing: str) -> str:
    return (element.findtext(tag) or "").strip() or missing


def _annotation_text(annotation: Annotation) -> str:
    name = PurePosixPath(annotation.name)
    root = ElementTree.Element("annotation")
    _add(root, "folder", (PurePosixPath("images") / name.parent).as_posix())
    _add(root, "filename", name.name)
    size = annotation.size or measured_size(annotation)
    if size is not None:
        element = _add(root, "size")
        for tag, value in zip(("width", "height", "depth"), (*size, 3), strict=True):
            _add(element, tag, str(value))
    for (x1, y1, x2, y2), ignore in zip(annotation.boxes.tolist(), annotation.ignore, strict=True):
        face = _add(root, "object")
        _add(face, "name", "face")
        _add(face, "difficult", str(int(ignore)))
        box = _add(face, "bndbox")
        for corner, value in zip(CORNERS, (x1 + 1, y1 + 1, x2, y2), strict=True):
            _add(box, corner, decimal(value, 6))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element

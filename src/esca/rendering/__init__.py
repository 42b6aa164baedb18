"""From mesh, texture and camera to pixels, and from pixels back to texels."""

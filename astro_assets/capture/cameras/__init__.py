"""Cameras behind one protocol: ZWO ASI, whatever gphoto2 drives, and a simulated one."""

"""The frame store: camera frames decoded once, in their own processes, and read back in any order.

location, forms        where a store lies and in which form it holds frames
camera_files           which files of a dataset hold a camera's frames, and where each row's frame is
shards, store, locks   what lies on the disk, and who may touch it
build, shard_build     decoding in worker processes (`pool`), and comparing with LeRobot's own decoder (`checking`)
decode_worker          the worker: video_ranges, picture_cells, frame_writer, plane_writer
codecs, colours        one frame to its stored bytes and back
reading, row_places    frames by table row
choose, opening        which form a run takes, and the readers for it
"""

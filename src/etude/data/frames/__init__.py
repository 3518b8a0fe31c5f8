"""The frame store: camera frames decoded once, in their own processes, and read back in any order.

location, forms        where a store lies and in which form it holds frames
camera_files           which files of a dataset hold a camera's frames, and where each row's frame is
shards, store, locks   what lies on the disk, and who may touch it
build, pool, checking  decoding in worker processes, and comparing with LeRobot's own decoder
decode_worker          the worker: video_ranges, picture_cells, frame_writer
codecs                 one frame to its stored bytes and back
reading, row_places    frames by table row
"""

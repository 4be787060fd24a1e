;; Two bytes 63 MiB apart: too thin for an image.
(module
  (memory 1024)
  (data (i32.const 0) "a")
  (data (i32.const 66060288) "b"))

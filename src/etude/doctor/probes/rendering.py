"""Does MuJoCo draw a picture with the backend that MUJOCO_GL names?"""

from __future__ import annotations

from typing import Any

__all__ = ["look"]

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="sphere" size="0.5" rgba="1 0.3 0.1 1"/>
    <camera name="front" pos="0 -2 0" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
</mujoco>
"""


def look() -> dict[str, Any]:
    """The shape of the picture."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=48, width=48) as renderer:
        renderer.update_scene(data, camera="front")
        picture = renderer.render()
    if int(picture[24, 24, 0]) < 20:
        raise SystemExit("the picture is black")
    return {"shape": list(picture.shape)}

// A lens over the pictures of sets: what is under the pointer or the finger, larger.
{
  const TIMES = 4;
  const lens = document.createElement("div");
  lens.className = "lens";
  lens.hidden = true;
  document.body.append(lens);
  const hide = () => { lens.hidden = true; };
  for (const image of document.querySelectorAll("img.pixels")) {
    image.addEventListener("pointermove", (event) => {
      const box = image.getBoundingClientRect();
      lens.hidden = false;
      const [width, height] = [lens.offsetWidth, lens.offsetHeight];
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      if (lens.dataset.of !== image.alt) {
        lens.dataset.of = image.alt;
        lens.style.backgroundImage = `url(${image.src})`;
      }
      lens.style.backgroundSize = `${box.width * TIMES}px ${box.height * TIMES}px`;
      lens.style.backgroundPosition = `${width / 2 - x * TIMES}px ${height / 2 - y * TIMES}px`;
      const right = event.clientX + 20 + width > innerWidth;
      lens.style.left = `${Math.max(0, event.clientX + (right ? -20 - width : 20))}px`;
      lens.style.top = `${Math.min(Math.max(0, event.clientY - height / 2), innerHeight - height)}px`;
    });
    image.addEventListener("pointerleave", hide);
    image.addEventListener("pointercancel", hide);
  }
  addEventListener("scroll", hide, { passive: true });
}

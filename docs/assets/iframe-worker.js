// Browsers start no Worker from file://, and the search is one. Where the site is opened as files,
// its script runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => setTimeout(() => this.answer(structuredClone(data)));
      const script = inside.document.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = () => {
        this.isLoaded = true;
        this.waiting.splice(0).forEach((data) => this.postMessage(data));
      };
      inside.document.body.append(script);
    }

    answer(data) {
      const event = new MessageEvent("message", { data });
      this.onmessage?.(event);
      this.dispatchEvent(event);
    }

    postMessage(data) {
      if (!this.isLoaded) this.waiting.push(data);
      else {
        const inside = this.frame.contentWindow;
        const copy = inside.structuredClone(data);
        inside.dispatchEvent(new inside.MessageEvent("message", { data: copy }));
      }
    }

    terminate() {
      this.frame.remove();
    }
  };
}

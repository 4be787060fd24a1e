// A filter by @solo-io/proxy-runtime 0.1.8 (AssemblyScript 0.14.9): reads the whole response body
// and adds a header both ways.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context, FilterDataStatusValues, FilterHeadersStatusValues, RootContext, registerRootContext,
  stream_context
} from "@solo-io/proxy-runtime";
import { BufferTypeValues, get_buffer_bytes } from "@solo-io/proxy-runtime/runtime";

class Root extends RootContext {
  createContext(context_id: u32): Context {
    return new Stream(context_id, this);
  }
}

class Stream extends Context {
  whole: bool = false; // waits for the end of the body, as x-whole asks for
  constructor(context_id: u32, root_context: Root) {
    super(context_id, root_context);
  }
  onRequestHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.whole = stream_context.headers.request.get("x-whole") == "yes";
    stream_context.headers.request.add("x-solo", "request");
    return FilterHeadersStatusValues.Continue;
  }
  onResponseHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-filter", "solo");
    return FilterHeadersStatusValues.Continue;
  }
  onResponseBody(size: usize, end_of_stream: bool): FilterDataStatusValues {
    if (this.whole && !end_of_stream) return FilterDataStatusValues.StopIterationAndBuffer;
    const body = get_buffer_bytes(BufferTypeValues.HttpResponseBody, 0, size as u32);
    if (this.whole) stream_context.headers.response.add("x-whole", body.byteLength.toString());
    return FilterDataStatusValues.Continue;
  }
}

registerRootContext((context_id: u32) => { return new Root(context_id); }, "matrix");

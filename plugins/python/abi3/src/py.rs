//! The little that makes the C API bearable: an owned reference, conversions, and "an exception is set" as an error.
//! Everything here needs the GIL.

use pyo3_ffi::*;
use rsgi_plugin_api::HookError;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::{NonNull, null_mut};

unsafe extern "C" {
    /// Part of every CPython we support, though listed in the stable ABI only since 3.10.
    fn PyUnicode_AsUTF8AndSize(object: *mut PyObject, size: *mut Py_ssize_t) -> *const c_char;
}

/// The Python error indicator is set.
#[derive(Debug)]
pub struct Raised;

/// A Python call's result.
pub type PyResult<T> = Result<T, Raised>;

/// An owned reference.
#[derive(Debug)]
pub struct Py(NonNull<PyObject>);

impl Py {
    /// Takes over a new reference; NULL means that an exception is set.
    ///
    /// # Safety
    /// `object` is NULL or a reference that the caller owns.
    pub unsafe fn new(object: *mut PyObject) -> PyResult<Py> {
        NonNull::new(object).map(Py).ok_or(Raised)
    }
    /// Shares a borrowed reference; NULL means that an exception is set.
    ///
    /// # Safety
    /// `object` is NULL or alive.
    pub unsafe fn borrowed(object: *mut PyObject) -> PyResult<Py> {
        let object = NonNull::new(object).ok_or(Raised)?;
        // SAFETY: alive by the contract.
        unsafe { Py_INCREF(object.as_ptr()) };
        Ok(Py(object))
    }
    /// The borrowed pointer.
    pub fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }
    /// Gives the reference away.
    pub fn into_ptr(self) -> *mut PyObject {
        let p = self.0.as_ptr();
        std::mem::forget(self);
        p
    }
    /// One more reference to the same object.
    pub fn share(&self) -> Py {
        // SAFETY: alive, since we own a reference.
        unsafe { Py_INCREF(self.as_ptr()) };
        Py(self.0)
    }
    /// An attribute.
    pub fn attr(&self, name: &CStr) -> PyResult<Py> {
        // SAFETY: both pointers are valid.
        unsafe { Py::new(PyObject_GetAttrString(self.as_ptr(), name.as_ptr())) }
    }
    /// An attribute that may be missing.
    pub fn attr_opt(&self, name: &CStr) -> Option<Py> {
        self.attr(name).map_err(|_| clear()).ok()
    }
    /// Calls it.
    pub fn call(&self, args: &[&Py]) -> PyResult<Py> {
        let tuple = tuple(args)?;
        // SAFETY: a callable (or an exception follows) and a tuple.
        unsafe { Py::new(PyObject_CallObject(self.as_ptr(), tuple.as_ptr())) }
    }
    /// Calls it with the arguments of another call.
    pub fn call_with(&self, args: &Args) -> PyResult<Py> {
        // SAFETY: a callable (or an exception follows) and a tuple, or NULL for no arguments.
        unsafe { Py::new(PyObject_CallObject(self.as_ptr(), args.0)) }
    }
    /// Whether it is None.
    pub fn is_none(&self) -> bool {
        // SAFETY: None lives for ever.
        self.as_ptr() == unsafe { Py_None() }
    }
}

impl Drop for Py {
    fn drop(&mut self) {
        // SAFETY: we own the reference; the GIL is held wherever a `Py` lives.
        unsafe { Py_DECREF(self.as_ptr()) }
    }
}

/// Drops the current exception.
pub fn clear() {
    // SAFETY: the GIL is held.
    unsafe { PyErr_Clear() }
}

/// A new tuple.
pub fn tuple(items: &[&Py]) -> PyResult<Py> {
    // SAFETY: a new tuple is filled before anybody sees it; SetItem takes over the reference.
    unsafe {
        let tuple = Py::new(PyTuple_New(items.len() as Py_ssize_t))?;
        for (i, item) in items.iter().enumerate() {
            PyTuple_SetItem(tuple.as_ptr(), i as Py_ssize_t, item.share().into_ptr());
        }
        Ok(tuple)
    }
}

/// A new list.
pub fn list(items: &[Py]) -> PyResult<Py> {
    // SAFETY: a new list; Append takes its own reference.
    unsafe {
        let list = Py::new(PyList_New(0))?;
        for item in items {
            check(PyList_Append(list.as_ptr(), item.as_ptr()))?;
        }
        Ok(list)
    }
}

/// `None`.
pub fn none() -> Py {
    // SAFETY: None lives for ever.
    unsafe { Py_INCREF(Py_None()) };
    // SAFETY: None is not NULL.
    Py(unsafe { NonNull::new_unchecked(Py_None()) })
}

/// `True` or `False`.
pub fn boolean(value: bool) -> Py {
    // SAFETY: makes a reference to one of the two singletons.
    Py(unsafe { NonNull::new_unchecked(PyBool_FromLong(value.into())) })
}

/// An int.
pub fn int(value: i64) -> PyResult<Py> {
    // SAFETY: plain conversion.
    unsafe { Py::new(PyLong_FromLongLong(value)) }
}

/// An int of an unsigned value.
pub fn uint(value: u64) -> PyResult<Py> {
    // SAFETY: plain conversion.
    unsafe { Py::new(PyLong_FromUnsignedLongLong(value)) }
}

/// A float.
pub fn float(value: f64) -> PyResult<Py> {
    // SAFETY: plain conversion.
    unsafe { Py::new(PyFloat_FromDouble(value)) }
}

/// A bytes object.
pub fn bytes(value: &[u8]) -> PyResult<Py> {
    // SAFETY: pointer and length describe `value`, which is copied.
    unsafe {
        Py::new(PyBytes_FromStringAndSize(
            value.as_ptr().cast(),
            value.len() as Py_ssize_t,
        ))
    }
}

/// A bytes object of a C string; `None` for NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub unsafe fn c_bytes(text: *const c_char) -> PyResult<Py> {
    if text.is_null() {
        return Ok(none());
    }
    // SAFETY: by the contract.
    bytes(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A str of bytes as the file system spells them.
pub fn path(value: &[u8]) -> PyResult<Py> {
    // SAFETY: pointer and length describe `value`, which is copied.
    unsafe {
        Py::new(PyUnicode_DecodeFSDefaultAndSize(
            value.as_ptr().cast(),
            value.len() as Py_ssize_t,
        ))
    }
}

/// A str whose code points are the bytes.
pub fn latin1(value: &[u8]) -> PyResult<Py> {
    // SAFETY: pointer and length describe `value`, which is copied.
    unsafe {
        Py::new(PyUnicode_DecodeLatin1(
            value.as_ptr().cast(),
            value.len() as Py_ssize_t,
            std::ptr::null(),
        ))
    }
}

/// A str of UTF-8.
pub fn string(value: &str) -> PyResult<Py> {
    // SAFETY: pointer and length describe `value`, which is copied.
    unsafe {
        Py::new(PyUnicode_FromStringAndSize(
            value.as_ptr().cast(),
            value.len() as Py_ssize_t,
        ))
    }
}

/// The UTF-8 of a str, cached in the object; `None` (no exception set) when it is no str or has lone surrogates.
///
/// # Safety
/// `object` is alive for as long as the result is used.
pub unsafe fn utf8<'a>(object: *mut PyObject) -> Option<&'a [u8]> {
    // SAFETY: by the contract.
    unsafe {
        if PyUnicode_Check(object) == 0 {
            return None;
        }
        let mut len: Py_ssize_t = 0;
        let text = PyUnicode_AsUTF8AndSize(object, &mut len);
        if text.is_null() {
            clear();
            return None;
        }
        Some(std::slice::from_raw_parts(text.cast(), len as usize))
    }
}

/// The bytes of a bytes object.
///
/// # Safety
/// `object` is alive for as long as the result is used.
pub unsafe fn bytes_of<'a>(object: *mut PyObject) -> Option<&'a [u8]> {
    // SAFETY: by the contract; checked to be bytes.
    unsafe {
        if PyBytes_Check(object) == 0 {
            return None;
        }
        let (text, len) = (PyBytes_AsString(object), PyBytes_Size(object));
        Some(std::slice::from_raw_parts(text.cast(), len as usize))
    }
}

/// The bytes of a str (as UTF-8, surrogates as the file system has them) or bytes object; else a TypeError.
pub fn text_bytes(object: &Py) -> PyResult<Vec<u8>> {
    // SAFETY: `object` outlives the borrowed slices.
    unsafe {
        if let Some(b) = bytes_of(object.as_ptr()).or_else(|| utf8(object.as_ptr())) {
            return Ok(b.to_vec());
        }
        if PyUnicode_Check(object.as_ptr()) != 0 {
            let encoded = Py::new(PyUnicode_EncodeFSDefault(object.as_ptr()))?;
            return Ok(bytes_of(encoded.as_ptr()).unwrap_or_default().to_vec());
        }
    }
    Err(type_error("a str or bytes object is needed"))
}

/// Raises an exception of this class with this text.
///
/// # Safety
/// `class` is a live exception class.
pub unsafe fn raise(class: *mut PyObject, text: &str) -> Raised {
    if let Ok(text) = string(text) {
        // SAFETY: by the contract.
        unsafe { PyErr_SetObject(class, text.as_ptr()) };
    }
    Raised
}

/// Raises TypeError.
pub fn type_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_TypeError, text) }
}

/// Raises ValueError.
pub fn value_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_ValueError, text) }
}

/// What the host refused, as a ValueError with its words.
pub fn told<T>(result: Result<T, HookError>) -> PyResult<T> {
    result.map_err(|error| value_error(&error.to_string()))
}

/// `True`, or `None` for what was not done: uWSGI's functions answer so.
pub fn true_or_none(is_so: bool) -> Py {
    if is_so { boolean(true) } else { none() }
}

/// Raises RuntimeError.
pub fn runtime_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_RuntimeError, text) }
}

/// Raises OverflowError.
pub fn overflow_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_OverflowError, text) }
}

/// Raises SystemError.
pub fn system_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_SystemError, text) }
}

/// Raises OSError.
pub fn os_error(text: &str) -> Raised {
    // SAFETY: the class lives for ever.
    unsafe { raise(PyExc_OSError, text) }
}

/// Puts a value into a dict under a str key.
pub fn set_item(dict: &Py, key: &CStr, value: &Py) -> PyResult<()> {
    // SAFETY: a dict, a NUL-terminated key, a live value.
    check(unsafe { PyDict_SetItemString(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
}

/// A new dict with these str keys.
pub fn dict(items: &[(&CStr, Py)]) -> PyResult<Py> {
    // SAFETY: a new dict.
    let dict = unsafe { Py::new(PyDict_New())? };
    for (key, value) in items {
        set_item(&dict, key, value)?;
    }
    Ok(dict)
}

/// `-1` means that an exception is set.
pub fn check(rc: c_int) -> PyResult<()> {
    if rc < 0 { Err(Raised) } else { Ok(()) }
}

/// What a C-called function returns: a new reference, or NULL with the exception set.
pub fn give(result: PyResult<Py>) -> *mut PyObject {
    result.map_or(std::ptr::null_mut(), Py::into_ptr)
}

/// Makes a class from a spec that lives for the call.
pub fn class(name: &'static CStr, size: usize, slots: &mut [PyType_Slot]) -> PyResult<Py> {
    let mut spec = PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: Py_TPFLAGS_DEFAULT as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the slots end with a zero entry (all callers write one) and the name is static.
    unsafe { Py::new(PyType_FromSpec(&mut spec)) }
}

/// The zero entry that ends a slot list.
pub const END: PyType_Slot = PyType_Slot {
    slot: 0,
    pfunc: std::ptr::null_mut(),
};

/// The deallocator of our classes: frees the memory and the reference to the class.
pub unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called once by Python, with an instance of a heap class.
    unsafe {
        let class = Py_TYPE(object);
        let free = PyType_GetSlot(class, Py_tp_free);
        let free: freefunc = std::mem::transmute(free);
        free(object.cast());
        Py_DECREF(class.cast());
    }
}

/// A row of a method table.
pub const fn method(name: &'static CStr, function: PyCFunction, flags: c_int) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: std::ptr::null(),
    }
}

/// A function of ours that is an object of Python's, with the row that it points back to.
pub struct Function(PyMethodDef);

// SAFETY: never written after the build.
unsafe impl Sync for Function {}

impl Function {
    /// Described by a row.
    pub const fn new(row: PyMethodDef) -> Self {
        Self(row)
    }

    /// A new object of it, without a `self`.
    pub fn object(&'static self) -> PyResult<Py> {
        // SAFETY: the row lives for ever, and nobody writes to it; NULL is no self.
        unsafe {
            Py::new(PyCFunction_NewEx(
                (&raw const self.0).cast_mut(),
                null_mut(),
                null_mut(),
            ))
        }
    }

    /// A new object of it that holds its `self`.
    pub fn bound(&'static self, to: &Py) -> PyResult<Py> {
        // SAFETY: as above.
        unsafe {
            Py::new(PyCFunction_NewEx(
                (&raw const self.0).cast_mut(),
                to.as_ptr(),
                null_mut(),
            ))
        }
    }
}

/// Positional arguments of a C-called function.
pub struct Args(*mut PyObject);

impl Args {
    /// # Safety
    /// `tuple` is the argument tuple of the call, or NULL for none; it outlives the value.
    pub unsafe fn new(tuple: *mut PyObject) -> Args {
        Args(tuple)
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        if self.0.is_null() {
            return 0;
        }
        // SAFETY: a tuple by the contract of `new`.
        (unsafe { PyTuple_Size(self.0) }) as usize
    }
    /// Argument `i`.
    pub fn get(&self, i: usize) -> Option<Py> {
        if i >= self.len() {
            return None;
        }
        // SAFETY: a tuple, the index is in range.
        unsafe { Py::borrowed(PyTuple_GetItem(self.0, i as Py_ssize_t)) }.ok()
    }
    /// Argument `i`, or a TypeError that names the function.
    pub fn need(&self, i: usize, function: &str) -> PyResult<Py> {
        self.get(i)
            .ok_or_else(|| type_error(&format!("{function}() needs at least {} arguments", i + 1)))
    }
    /// Argument `i` as int, or the default when it is missing.
    pub fn int(&self, i: usize, default: i64) -> PyResult<i64> {
        let Some(value) = self.get(i) else {
            return Ok(default);
        };
        // SAFETY: a live object.
        let n = unsafe { PyLong_AsLongLong(value.as_ptr()) };
        // SAFETY: the GIL is held.
        if n == -1 && !unsafe { PyErr_Occurred() }.is_null() {
            Err(Raised)
        } else {
            Ok(n)
        }
    }
    /// Argument `i`, seconds as int or float, in nanoseconds; 0 when it is missing, or no number that has a meaning.
    pub fn nanoseconds(&self, i: usize) -> PyResult<i64> {
        let Some(value) = self.get(i) else {
            return Ok(0);
        };
        // SAFETY: a live object.
        let seconds = unsafe { PyFloat_AsDouble(value.as_ptr()) };
        // SAFETY: the GIL is held.
        if seconds == -1.0 && !unsafe { PyErr_Occurred() }.is_null() {
            return Err(Raised);
        }
        Ok((seconds * 1e9).round() as i64)
    }
}

/// A function that takes its arguments as an array: in every CPython we support, though part of the stable ABI only
/// since 3.10.
pub type FastFunction = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, Py_ssize_t) -> *mut PyObject;

/// A row of a method table for such a function.
pub fn fast_method(name: &'static CStr, function: FastFunction) -> PyMethodDef {
    const METH_FASTCALL: c_int = 0x80;
    // SAFETY: the flag tells Python what the function really takes.
    let function = unsafe { std::mem::transmute::<FastFunction, PyCFunction>(function) };
    method(name, function, METH_FASTCALL)
}

/// Positional arguments of such a function.
pub struct Fast<'a> {
    items: &'a [*mut PyObject],
    function: &'static str,
}

impl<'a> Fast<'a> {
    /// # Safety
    /// `args` are the `count` arguments of the call, which outlives the value.
    pub unsafe fn new(args: *const *mut PyObject, count: Py_ssize_t, function: &'static str) -> Self {
        let items = match count {
            0 => &[],
            // SAFETY: by the contract.
            n => unsafe { std::slice::from_raw_parts(args, n as usize) },
        };
        Self { items, function }
    }

    /// A TypeError unless there are so many.
    pub fn count(&self, least: usize, most: usize) -> PyResult<()> {
        if (least..=most).contains(&self.items.len()) {
            return Ok(());
        }
        let wanted = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        Err(type_error(&format!(
            "{}() takes {wanted} arguments ({} given)",
            self.function,
            self.items.len()
        )))
    }

    /// The bytes of a str (as UTF-8) or bytes argument, where they are; a NUL follows them.
    pub fn text(&self, i: usize) -> PyResult<&'a [u8]> {
        let object = self.items.get(i).copied().unwrap_or(std::ptr::null_mut());
        if !object.is_null() {
            // SAFETY: an argument lives as long as the call.
            if let Some(text) = unsafe { utf8(object).or_else(|| bytes_of(object)) } {
                return Ok(text);
            }
        }
        Err(type_error(&format!(
            "{}() argument {} must be str or bytes",
            self.function,
            i + 1
        )))
    }

    /// The same of an argument that may be missing or None.
    pub fn text_opt(&self, i: usize) -> PyResult<Option<&'a [u8]>> {
        match self.items.get(i) {
            None => Ok(None),
            // SAFETY: None lives for ever.
            Some(object) if *object == unsafe { Py_None() } => Ok(None),
            Some(_) => self.text(i).map(Some),
        }
    }

    /// An argument as int, or the default when it is missing.
    pub fn int(&self, i: usize, default: i64) -> PyResult<i64> {
        let Some(object) = self.items.get(i) else {
            return Ok(default);
        };
        // SAFETY: an argument lives as long as the call; the GIL is held.
        unsafe {
            let n = PyLong_AsLongLong(*object);
            if n == -1 && !PyErr_Occurred().is_null() {
                return Err(Raised);
            }
            Ok(n)
        }
    }
}

// The little of .NET's System.Text.Json that the guide's class uses, for a runtime that has none.
// Written after its documentation: members by JsonPropertyName, in the order of their declaration;
// unknown members are skipped; text that is no JSON, or of another shape, is a JsonException.

using System;
using System.Collections;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Text.Json.Serialization;
using System.Xml;

namespace System.Text.Json.Serialization
{
    [AttributeUsage(AttributeTargets.Property)]
    public sealed class JsonPropertyNameAttribute : Attribute
    {
        public JsonPropertyNameAttribute(string name) { Name = name; }
        public string Name { get; }
    }
}

namespace System.Text.Json
{
    public sealed class JsonException : Exception
    {
        public JsonException(Exception inner) : base("no JSON of that shape", inner) { }
    }

    public static class JsonSerializer
    {
        public static string Serialize<T>(T value) { return Write(value); }

        public static T Deserialize<T>(string text)
        {
            try
            {
                var document = new XmlDocument();
                var bytes = Encoding.UTF8.GetBytes(text);
                document.Load(JsonReaderWriterFactory.CreateJsonReader(bytes, XmlDictionaryReaderQuotas.Max));
                return (T)Read(document.DocumentElement, typeof(T));
            }
            catch (Exception error) when (!(error is OutOfMemoryException))
            {
                throw new JsonException(error);
            }
        }

        private static string Name(PropertyInfo property)
        {
            var named = property.GetCustomAttribute<JsonPropertyNameAttribute>();
            return named == null ? property.Name : named.Name;
        }

        private static string Write(object value)
        {
            if (value == null) return "null";
            if (value is bool) return (bool)value ? "true" : "false";
            if (value is string) return Quote((string)value);
            if (value is IFormattable) return ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture);
            if (value is IEnumerable) return "[" + string.Join(",", ((IEnumerable)value).Cast<object>().Select(Write)) + "]";
            var members = value.GetType().GetProperties().Select(p => Quote(Name(p)) + ":" + Write(p.GetValue(value)));
            return "{" + string.Join(",", members) + "}";
        }

        private static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (var c in text)
            {
                var plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
                quoted.Append(plain ? c.ToString() : "\\u" + ((int)c).ToString("X4"));
            }
            return quoted.Append('"').ToString();
        }

        // An element of the reader's XML: its attribute `type` is JSON's, its children are the members.
        private static object Read(XmlElement found, Type wanted)
        {
            var type = found.GetAttribute("type");
            if (type == "null" && !wanted.IsValueType) return null;
            if (wanted == typeof(string)) return Only(type, "string", found.InnerText);
            if (wanted == typeof(bool)) return Only(type, "boolean", found.InnerText) == "true";
            if (wanted.IsPrimitive || wanted == typeof(decimal))
            {
                return Convert.ChangeType(Only(type, "number", found.InnerText), wanted, CultureInfo.InvariantCulture);
            }
            var made = Activator.CreateInstance(wanted);
            if (made is IList)
            {
                Only(type, "array", "");
                foreach (XmlElement item in found) ((IList)made).Add(Read(item, wanted.GetGenericArguments()[0]));
                return made;
            }
            Only(type, "object", "");
            foreach (var property in wanted.GetProperties())
            {
                var member = found[Name(property)];
                if (member != null) property.SetValue(made, Read(member, property.PropertyType));
            }
            return made;
        }

        private static string Only(string found, string wanted, string text)
        {
            if (found != wanted) throw new FormatException($"{found} where {wanted} is wanted");
            return text;
        }
    }
}
